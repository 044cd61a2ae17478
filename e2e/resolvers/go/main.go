// Prints the first IPv4 address of a name as Go's own resolver finds it, or why there is none. Built without cgo for the tests.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
)

func main() {
	found, err := net.DefaultResolver.LookupIP(context.Background(), "ip4", os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	fmt.Println(found[0])
}
