// Sends OTLP JSON from stdin through the collector's own X-Ray exporter, the one that ADOT ships:
// adot ENDPOINT < spans.json
package main

import (
	"context"
	"io"
	"log"
	"os"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsxrayexporter"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(endpoint string) error {
	body, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	spans, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(body)
	if err != nil {
		return err
	}
	factory := awsxrayexporter.NewFactory()
	config := factory.CreateDefaultConfig().(*awsxrayexporter.Config)
	config.Endpoint = endpoint
	config.Region = "us-east-1"
	config.LocalMode = true
	config.IndexedAttributes = []string{"customer.id"}
	settings := exporter.Settings{
		ID:                component.NewID(factory.Type()),
		TelemetrySettings: componenttest.NewNopTelemetrySettings(),
		BuildInfo:         component.NewDefaultBuildInfo(),
	}
	settings.Logger = zap.Must(zap.NewDevelopment())
	ctx := context.Background()
	traces, err := factory.CreateTraces(ctx, settings, config)
	if err != nil {
		return err
	}
	if err := traces.Start(ctx, componenttest.NewNopHost()); err != nil {
		return err
	}
	if err := traces.ConsumeTraces(ctx, spans); err != nil {
		return err
	}
	return traces.Shutdown(ctx)
}
