"""The bus over NATS JetStream; `bus` is the one to begin with."""
