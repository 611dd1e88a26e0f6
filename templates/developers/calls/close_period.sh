./ocn manage close_period YYYY-MM --force
