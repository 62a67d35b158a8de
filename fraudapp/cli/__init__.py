"""What commands are made of: parameters, exit codes, transaction files, Faust's command line."""
