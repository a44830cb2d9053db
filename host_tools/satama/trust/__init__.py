"""Certificates and keys: read from files, judged by what the board takes, asked of a broker."""
