module otternauts.dev/test

go 1.23

require otternauts.dev/client v0.1.0

replace otternauts.dev/client => ../../../clients/sdk/go
