import { redactText } from '../../config/redact.ts'
import type { OtlpConfig } from '../../telemetry/config.ts'
import { toOtlpTarget } from '../../telemetry/traces/create-tracing.ts'
import { sendOtlp } from '../../telemetry/worker/otlp-sender.ts'
import { type DoctorCheck, failed, type DoctorFinding, ok } from './check.ts'

/** Milliseconds for one collector. */
const timeout = 5_000

/** Sends each collector a message with nothing in it, with the configured headers and certificates: an empty one is a valid one. */
export const collectors: DoctorCheck = {
  name: 'collectors',
  find({ loaded: { config } }) {
    const { traces, metrics } = config.telemetry ?? {}
    return Promise.all([
      ...(traces?.enabled && traces.exporter ? [checkCollector('trace collector', traces.exporter)] : []),
      ...(metrics?.enabled && metrics.exporter ? [checkCollector('metrics collector', metrics.exporter)] : []),
    ])
  },
}

async function checkCollector(subject: string, exporter: OtlpConfig): Promise<DoctorFinding> {
  const { host, pathname } = new URL(exporter.url)
  const result = await sendOtlp({ ...toOtlpTarget(exporter), timeout: Math.min(exporter.timeout, timeout) }, new Uint8Array())
  if (result.kind === 'sent') return ok(subject, `${host} accepts data`)
  const message = `${host}${pathname}: ${redactText(result.why)}`
  const remedy =
    result.kind === 'refused'
      ? 'Check that the collector accepts OTLP over HTTP with protobuf at this path, and telemetry.otlp.headers.'
      : 'Check telemetry.otlp.endpoint (or OTEL_EXPORTER_OTLP_ENDPOINT), the collector, and the network including proxies; requests are served without it.'
  return failed(subject, message, remedy)
}
