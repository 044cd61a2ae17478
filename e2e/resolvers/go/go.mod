module coold/lookup

go 1.19
