"""Tests, one folder to each part of the house."""
