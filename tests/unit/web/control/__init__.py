"""Tests of the views of policies and lists."""
