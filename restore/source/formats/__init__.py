"""One module for each format of export, behind the protocol ``Format``."""
