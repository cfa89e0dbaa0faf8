"""The effect of hostile requests on other clients."""
