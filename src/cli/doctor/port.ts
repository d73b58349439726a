import { canConnect } from '../../egress/probe.ts'
import { version } from '../version.ts'
import { type Check, failed, type Finding, ok, type Scene, warning } from './check.ts'

const patience = 2_000
const anyHost = new Set(['0.0.0.0', '::', ''])

export const port: Check = {
  name: 'port',
  async find(scene) {
    const { server } = scene.loaded.config
    const subject = `port ${server.port}`
    const host = server.host === undefined || anyHost.has(server.host) ? '127.0.0.1' : server.host
    if (!(await canConnect({ host, port: server.port }, patience))) return [ok(subject, 'is free')]
    const base = `${server.tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${server.port}`
    const [ready, about] = await Promise.all([ask(scene, `${base}/readyz`), ask(scene, `${base}/v1/version`)])
    if (!Array.isArray(ready?.reasons)) {
      return [
        failed(
          subject,
          `is taken by something that does not answer as Corral does`,
          'Stop the other program, or choose a port with --port or server.port.',
        ),
      ]
    }
    return [running(subject, typeof about?.version === 'string' ? about.version : undefined), ...readiness(subject, ready.reasons)]
  },
}

function running(subject: string, theirs: string | undefined): Finding {
  if (theirs === undefined || theirs === version) return ok(subject, 'is served by Corral')
  return warning(subject, `is served by another version of Corral (${theirs.slice(0, 40)}, this is ${version})`, 'Restart the server.')
}

function readiness(subject: string, reasons: readonly unknown[]): Finding[] {
  return reasons.map((reason) =>
    failed(subject, `the server there is not ready: ${String(reason)}`, 'See the other findings and the server’s log.'),
  )
}

async function ask({ egress, signal }: Scene, url: string): Promise<Record<string, unknown> | undefined> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(patience)])
  try {
    // Nothing secret is sent, and the certificate is made out for the name that callers use.
    const answer = await egress.request(url, { method: 'GET', headers: {}, signal: limit, network: { tls: { verify: false } } })
    const value: unknown = JSON.parse(new TextDecoder().decode(await answer.content.bytes(100_000)))
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof Error)) throw error
    return undefined
  }
}
