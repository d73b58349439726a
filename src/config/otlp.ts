import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { proxyFromEnvironment, type ProxyRules } from '../egress/proxies.ts'
import { Secret } from '../secret.ts'
import type { OtlpConfig } from '../telemetry/config.ts'
import type { OtelEnvironment } from './otel-environment.ts'
import type { Report } from './report.ts'
import type { TelemetrySection } from './schema-telemetry.ts'
import { expandHome } from './substitute.ts'

interface OtlpContext {
  readonly report: Report
  readonly cwd: string
  readonly home: string
  /** Missing files are a warning: nothing is sent. */
  readonly offline?: boolean | undefined
  readonly otel: OtelEnvironment
  /** The environment's. */
  readonly proxies: ProxyRules | undefined
  /** `telemetry.otlp` of the file. */
  readonly written: TelemetrySection['otlp']
  /** Endpoints that a Llama Stack file gives, whole. */
  readonly llamaStack?: { readonly traces?: string | undefined; readonly metrics?: string | undefined } | undefined
}

type Signal = 'traces' | 'metrics'

/**
 * Where a signal goes, by OTEL_EXPORTER_OTLP_* (those of the signal first), then the file. Undefined where it is not exported: OpenTelemetry's default,
 * a collector on this machine, has to be enabled here by naming the exporter or an endpoint.
 */
export function readOtlp(signal: Signal, chosen: 'otlp' | 'none' | null | undefined, context: OtlpContext): OtlpConfig | undefined {
  const { otel, written, report } = context
  if (otel.flag('OTEL_SDK_DISABLED')) return undefined
  const named = exporterNamed(signal, otel) ?? chosen ?? undefined
  const url = urlOf(signal, context)
  if (named === 'none' || (named === undefined && url === undefined)) return undefined
  const whole = url ?? `http://localhost:4318/v1/${signal}`
  const origin = `telemetry.otlp.endpoint (or OTEL_EXPORTER_OTLP_ENDPOINT)`
  if (!/^https?:$/.test(URL.parse(whole)?.protocol ?? '')) {
    report.errorOf(origin, 'must be a URL that begins with http:// or https://')
    return undefined
  }
  warnOfProtocol(signal, otel)
  const names = (suffix: string) => [`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${suffix}`, `OTEL_EXPORTER_OTLP_${suffix}`]
  const headers = { ...written?.headers, ...otel.pairs(...names('HEADERS')) }
  const pem = (suffix: string, key: 'certificate' | 'client_certificate' | 'client_key') => {
    const file = otel.text(...names(suffix)) ?? written?.[key] ?? ''
    if (file === '') return undefined
    const path = resolve(context.cwd, expandHome(file, context.home))
    const wrong = wrongWithPem(path)
    const source = `telemetry.otlp.${key} (or OTEL_EXPORTER_OTLP_${suffix})`
    if (wrong && context.offline) report.warnOf(source, `the file '${file}' ${wrong}: a server would not start`)
    else if (wrong) report.errorOf(source, `the file '${file}' ${wrong}`)
    return path
  }
  const [certificate, clientCertificate, clientKey] = [
    pem('CERTIFICATE', 'certificate'),
    pem('CLIENT_CERTIFICATE', 'client_certificate'),
    pem('CLIENT_KEY', 'client_key'),
  ]
  if ((clientCertificate === undefined) !== (clientKey === undefined)) {
    report.errorOf('telemetry.otlp (or OTEL_EXPORTER_OTLP_CLIENT_…)', 'client_certificate and client_key are required together')
  }
  const proxy = proxyFromEnvironment(new URL(whole), context.proxies)
  const times = { min: 1, max: 600_000 }
  return {
    url: whole,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), new Secret(value)])),
    timeout: otel.number(names('TIMEOUT'), times) ?? written?.timeout_ms ?? 10_000,
    compression: otel.choice(names('COMPRESSION'), ['none', 'gzip'] as const) ?? written?.compression ?? 'none',
    certificate,
    clientCertificate,
    clientKey,
    ...(proxy !== undefined && { proxy: new Secret(proxy) }),
  }
}

/** Undefined: nothing. */
function wrongWithPem(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1').includes('-----BEGIN ') ? undefined : 'is not a PEM file'
  } catch (error) {
    return `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown cause'})`
  }
}

function exporterNamed(signal: Signal, otel: OtelEnvironment): 'otlp' | 'none' | undefined {
  const name = `OTEL_${signal.toUpperCase()}_EXPORTER`
  const listed = (otel.text(name) ?? '').split(',').map((one) => one.trim().toLowerCase())
  const known = (['otlp', 'none'] as const).find((one) => listed.includes(one))
  if (otel.text(name) !== undefined && listed.some((one) => one !== 'otlp' && one !== 'none')) {
    if (known) otel.misread(name, `only '${known}' is supported, the rest is ignored`)
    else otel.ignored(name, "is neither 'otlp' nor 'none'")
  }
  return known
}

function urlOf(signal: Signal, { otel, written, llamaStack }: OtlpContext): string | undefined {
  const own = otel.text(`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT`)
  if (own !== undefined) return own
  const root = otel.text('OTEL_EXPORTER_OTLP_ENDPOINT') ?? (written?.endpoint || undefined)
  return root === undefined ? llamaStack?.[signal] : `${root.replace(/\/$/, '')}/v1/${signal}`
}

function warnOfProtocol(signal: Signal, otel: OtelEnvironment): void {
  for (const name of [`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_PROTOCOL`, 'OTEL_EXPORTER_OTLP_PROTOCOL']) {
    const protocol = otel.text(name)
    if (protocol !== undefined && protocol !== 'http/protobuf')
      otel.ignored(name, 'names an unsupported protocol: only http/protobuf is supported')
  }
}
