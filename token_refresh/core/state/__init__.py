"""The states of a connection, and everything that moves it from one to another."""
