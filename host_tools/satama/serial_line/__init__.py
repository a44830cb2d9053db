"""The cable to a gateway: ports and what is said over them."""
