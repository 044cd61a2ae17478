// Prints how buildah's parser reads Containerfiles: one text in JSON a line in, one tree in JSON a line out.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/openshift/imagebuilder/dockerfile/parser"
)

type document struct {
	Name    string `json:"name"`
	Content string `json:"content"`
	Chomp   bool   `json:"chomp"`
}

type instruction struct {
	Name      string        `json:"name"`
	Flags     []string      `json:"flags"`
	Words     []string      `json:"words"`
	JSON      bool          `json:"json"`
	Triggers  []instruction `json:"triggers"`
	Documents []document    `json:"documents"`
}

type answer struct {
	Error        string        `json:"error"`
	Instructions []instruction `json:"instructions"`
}

func read(node *parser.Node) instruction {
	made := instruction{
		Name:      node.Value,
		Flags:     append([]string{}, node.Flags...),
		Words:     []string{},
		JSON:      node.Attributes["json"],
		Triggers:  []instruction{},
		Documents: documentsOf(node),
	}
	for next := node.Next; next != nil; next = next.Next {
		made.Words = append(made.Words, next.Value)
		for _, child := range next.Children {
			made.Triggers = append(made.Triggers, read(child))
		}
	}
	return made
}

func answerTo(text string) (result answer) {
	defer func() {
		if fault := recover(); fault != nil {
			result = answer{Error: fmt.Sprint(fault)}
		}
	}()
	parsed, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		return answer{Error: err.Error()}
	}
	result.Instructions = []instruction{}
	for _, child := range parsed.AST.Children {
		result.Instructions = append(result.Instructions, read(child))
	}
	return result
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var text string
		if err := json.Unmarshal(lines.Bytes(), &text); err != nil {
			panic(err)
		}
		if err := out.Encode(answerTo(text)); err != nil {
			panic(err)
		}
	}
}
