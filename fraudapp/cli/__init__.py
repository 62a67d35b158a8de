"""Parts that commands share: parameters, exit codes, transaction files, Faust's command line."""
