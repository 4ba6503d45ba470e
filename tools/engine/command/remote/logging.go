package remote

import "github.com/pulumi/pulumi-go-provider/infer"

// Logging says which of a command's streams is shown while it runs; both are always recorded.
type Logging string

// The values of Logging.
const (
	LogStdout          Logging = "stdout"
	LogStderr          Logging = "stderr"
	LogStdoutAndStderr Logging = "stdoutAndStderr"
	NoLogging          Logging = "none"
)

// Values lists what a program may choose.
func (Logging) Values() []infer.EnumValue[Logging] {
	return []infer.EnumValue[Logging]{
		{Name: string(LogStdout), Value: LogStdout},
		{Name: string(LogStderr), Value: LogStderr},
		{Name: string(LogStdoutAndStderr), Value: LogStdoutAndStderr},
		{Name: string(NoLogging), Value: NoLogging},
	}
}

func (logging *Logging) showsStdout() bool {
	return logging == nil || *logging == LogStdout || *logging == LogStdoutAndStderr
}

func (logging *Logging) showsStderr() bool {
	return logging == nil || *logging == LogStderr || *logging == LogStdoutAndStderr
}
