"""Measurements: `make bench` and `make storm`. Ratios within one run: absolute times mean nothing here."""
