module otternauts.dev/client

go 1.23
