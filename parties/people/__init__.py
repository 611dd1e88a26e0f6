"""The people of the parties: who may come in, what they may see and do, what they did."""
