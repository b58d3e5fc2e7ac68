"""mobium-client: what a person uses, on the engine of `mobium.client`."""
