import type { Egress } from '../../egress/egress.ts'
import { within } from '../../timing.ts'

interface LocalServer {
  readonly id: string
  /** The default address of a server of this kind: its root, or the root of its OpenAI API. */
  readonly probe: string
}

/** Milliseconds that the start may wait for all of them together. */
const probeTimeout = 300

/** Largest listing that is read, in bytes. */
const maxListing = 1_000_000

/**
 * The servers that respond like an OpenAI-compatible one within 300 ms. All are probed at once.
 * Never throws.
 */
export async function findLocalServers(servers: readonly LocalServer[], egress: Pick<Egress, 'request'>): Promise<ReadonlySet<string>> {
  const found = new Set<string>()
  const stop = new AbortController()
  const ask = async ({ id, probe }: LocalServer) => {
    if (await isOpenAiCompatible(probe, egress, stop.signal)) found.add(id)
  }
  await within(probeTimeout, Promise.all(servers.map(ask)), undefined)
  const inTime = new Set(found)
  stop.abort()
  return inTime
}

async function isOpenAiCompatible(probe: string, egress: Pick<Egress, 'request'>, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await egress.request(modelsUrl(probe), { method: 'GET', headers: { accept: 'application/json' }, signal })
    const text = response.body && response.status === 200 ? await readText(response.body) : ''
    await (response.status === 200 ? undefined : response.body?.cancel())
    const listing: unknown = JSON.parse(text)
    return typeof listing === 'object' && listing !== null && 'data' in listing && (listing.data === null || Array.isArray(listing.data))
  } catch {
    // No server, or another one: both are common and not logged.
    return false
  }
}

async function readText(body: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > maxListing) break
  }
  return text
}

function modelsUrl(probe: string): string {
  const root = probe.replace(/\/+$/, '')
  if (root.endsWith('/models')) return root
  return root.endsWith('/v1') ? `${root}/models` : `${root}/v1/models`
}
