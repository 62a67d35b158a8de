"""Contenders: other ways to do the same work, each as its own documentation advises.

All read the same topic, score with the same model, and keep the same decisions in the same Redis,
Postgres and S3. None of them checks for duplicates, keeps dead letters, or counts anything exactly.
Settings are the application's own environment; three variables are the benchmark's: `BENCH_STORES`
(0: keep nothing), `BENCH_PROGRESS` (file for the number of events done), `BENCH_PIPELINE`.
"""
