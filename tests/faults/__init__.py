"""What the hub promises, kept under load and with faults: `./ocn faults`; in part, `./ocn test`."""
