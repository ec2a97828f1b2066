"""What a store promises (contracts), and the obvious one in memory that every other store is compared with."""
