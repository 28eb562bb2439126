"""Tests of the local Functions host. A package, so that its helpers have a name of their own."""
