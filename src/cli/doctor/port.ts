import { canConnect } from '../../egress/probe.ts'
import { version } from '../version.ts'
import { type DoctorCheck, failed, type DoctorFinding, ok, type DoctorContext, warning } from './check.ts'

const timeout = 2_000
const anyHost = new Set(['0.0.0.0', '::', ''])

export const port: DoctorCheck = {
  name: 'port',
  async find(context) {
    const { server } = context.loaded.config
    const subject = `port ${server.port}`
    const host = server.host === undefined || anyHost.has(server.host) ? '127.0.0.1' : server.host
    if (!(await canConnect({ host, port: server.port }, timeout))) return [ok(subject, 'is free')]
    const base = `${server.tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${server.port}`
    const [ready, about] = await Promise.all([fetchJson(context, `${base}/readyz`), fetchJson(context, `${base}/v1/version`)])
    if (!Array.isArray(ready?.reasons)) {
      return [failed(subject, 'is in use by another program', 'Stop the other program, or choose a port with --port or server.port.')]
    }
    return [running(subject, typeof about?.version === 'string' ? about.version : undefined), ...readiness(subject, ready.reasons)]
  },
}

function running(subject: string, theirs: string | undefined): DoctorFinding {
  if (theirs === undefined || theirs === version) return ok(subject, 'is in use by Corral')
  return warning(subject, `is in use by another version of Corral (${theirs.slice(0, 40)}, this is ${version})`, 'Restart the server.')
}

function readiness(subject: string, reasons: readonly unknown[]): DoctorFinding[] {
  return reasons.map((reason) =>
    failed(subject, `the running server is not ready: ${String(reason)}`, 'See the other findings and the server’s log.'),
  )
}

async function fetchJson({ egress, signal }: DoctorContext, url: string): Promise<Record<string, unknown> | undefined> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeout)])
  try {
    // No secret is sent, and the certificate is for the name that callers use.
    const response = await egress.request(url, { method: 'GET', headers: {}, signal: limit, network: { tls: { verify: false } } })
    const value: unknown = JSON.parse(new TextDecoder().decode(await response.content.bytes(100_000)))
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof Error)) throw error
    return undefined
  }
}
