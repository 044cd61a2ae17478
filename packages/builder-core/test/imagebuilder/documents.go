//go:build documents

package main

import "github.com/openshift/imagebuilder/dockerfile/parser"

func documentsOf(node *parser.Node) []document {
	made := []document{}
	for _, found := range node.Heredocs {
		made = append(made, document{Name: found.Name, Content: found.Content, Chomp: found.Chomp})
	}
	return made
}
