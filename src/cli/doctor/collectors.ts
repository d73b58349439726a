import { redactText } from '../../config/redact.ts'
import type { OtlpConfig } from '../../telemetry/config.ts'
import { toOtlpTarget } from '../../telemetry/setup.ts'
import { sendOtlp } from '../../telemetry/worker/otlp-sender.ts'
import { type Check, failed, type Finding, ok } from './check.ts'

/** Milliseconds for one collector. */
const patience = 5_000

/** Sends each collector a message with nothing in it, with the configured headers and certificates: an empty one is a valid one. */
export const collectors: Check = {
  name: 'collectors',
  find({ loaded: { config } }) {
    const { traces, metrics } = config.telemetry ?? {}
    return Promise.all([
      ...(traces?.enabled && traces.exporter ? [asked('trace collector', traces.exporter)] : []),
      ...(metrics?.enabled && metrics.exporter ? [asked('metrics collector', metrics.exporter)] : []),
    ])
  },
}

async function asked(subject: string, exporter: OtlpConfig): Promise<Finding> {
  const { host, pathname } = new URL(exporter.url)
  const result = await sendOtlp({ ...toOtlpTarget(exporter), timeout: Math.min(exporter.timeout, patience) }, new Uint8Array())
  if (result.kind === 'sent') return ok(subject, `${host} takes what is sent to it`)
  const message = `${host}${pathname}: ${redactText(result.why)}`
  const remedy =
    result.kind === 'refused'
      ? 'See that the collector takes OTLP over HTTP and protobuf at this path, and that telemetry.otlp.headers are what it wants.'
      : 'Check telemetry.otlp.endpoint (or OTEL_EXPORTER_OTLP_ENDPOINT), the collector itself, and the network, proxies included; serving goes on without it.'
  return failed(subject, message, remedy)
}
