// What the rivals that use franz-go share.
package rivals

import "runtime/debug"

// Name is the client's, with its version.
func Name() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/twmb/franz-go" {
				return "franz-go " + d.Version
			}
		}
	}
	return "franz-go"
}
