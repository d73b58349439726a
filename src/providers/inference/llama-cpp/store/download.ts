import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rm, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Egress, EgressError, type EgressResponse, type NetworkOptions } from '../../../contract.ts'
import { diskError, PullError } from './pull-error.ts'

interface Download {
  url: string
  /** Where it goes. What is there already is taken for the beginning, and continued. */
  path: string
  /** The headers for one hop; redirects may lead to hosts that must not see a token. */
  headersFor: (url: URL) => Record<string, string>
  /** Bytes, where known beforehand. */
  size?: number | undefined
  /** Lower-case hex, where known beforehand. */
  sha256?: string | undefined
  egress: Pick<Egress, 'request'>
  signal: AbortSignal
  /** Bytes so far, and in total where the server reports it. */
  onProgress: (done: number, total: number | undefined) => void
  /** Gets the head of each response, redirects included. */
  onHead?(headers: Headers): void
}

/** So many times in a row a transfer may be cut without having got any further. */
const maxAttemptsWithoutProgress = 3
const maxRedirects = 5
const network: NetworkOptions = { connectTimeout: 5_000, firstByteTimeout: 30_000, idleTimeout: 60_000 }

/**
 * Fetches a file, continuing where an earlier attempt ended, and checks it. Resolves with its SHA-256. What was fetched stays for the next attempt,
 * unless it turned out to be wrong. Throws PullError, or the signal's reason.
 */
export async function download(options: Download): Promise<string> {
  const resumed = await sizeOf(options.path)
  const sha256 = await fetchWhole(options)
  if (options.sha256 === undefined || sha256 === options.sha256) return sha256
  await rm(options.path, { force: true })
  // The beginning may have been of another file: once more, from nothing.
  if (resumed > 0) return download(options)
  throw new PullError(`The download from ${new URL(options.url).host} is corrupt: its SHA-256 is ${sha256}, not ${options.sha256}.`, {
    remedy: 'It was deleted. Try again, or another source.',
  })
}

async function fetchWhole(options: Download): Promise<string> {
  let withoutProgress = 0
  for (;;) {
    const before = await sizeOf(options.path)
    try {
      await transfer(options, before)
      return await hashOf(options.path)
    } catch (error) {
      if (options.signal.aborted) throw options.signal.reason
      if (!(error instanceof EgressError)) throw diskError(error, options.path)
      withoutProgress = (await sizeOf(options.path)) > before ? 0 : withoutProgress + 1
      if (withoutProgress >= maxAttemptsWithoutProgress || (withoutProgress > 0 && before === 0)) {
        throw new PullError(`${new URL(options.url).host} cannot be reached: ${error.message}`, {
          reason: 'unreachable',
          remedy: 'Set HF_ENDPOINT to a mirror, or use a local file with --from. gemma3-270m also comes from a Python package index.',
          cause: error,
        })
      }
      await sleep(withoutProgress * 1000, undefined, { signal: options.signal })
    }
  }
}

/** One attempt. Throws EgressError where the transfer broke off. */
async function transfer(options: Download, have: number): Promise<void> {
  if (have > 0 && have === options.size) {
    options.onProgress(have, options.size)
    return
  }
  const response = await follow(options, have > 0 ? { range: `bytes=${have}-` } : {})
  if (response.status === 416) {
    response.content.cancel()
    await rm(options.path, { force: true })
    return transfer(options, 0)
  }
  const start = response.status === 206 ? rangeStart(response.headers) : 0
  if (start !== 0 && start !== have) {
    response.content.cancel()
    throw new PullError(`${new URL(options.url).host} sent a different range than requested.`)
  }
  const rest = Number(response.headers.get('content-length') ?? Number.NaN)
  const total = Number.isFinite(rest) ? start + rest : options.size
  await checkSpace(options.path, (total ?? 0) - start)
  const file = await open(options.path, start > 0 ? 'a' : 'w')
  let done = start
  try {
    for (let pieces = await response.content.read(); pieces; pieces = await response.content.read()) {
      for (const piece of pieces) {
        await file.writeFile(piece)
        done += piece.length
      }
      options.onProgress(done, total)
    }
  } catch (error) {
    response.content.cancel()
    throw error
  } finally {
    await file.close()
  }
  if (total !== undefined && done < total) throw new EgressError('interrupted', `the transfer ended after ${done} of ${total} bytes`)
}

/** The response after all redirects: 200, 206 or 416. */
async function follow(options: Download, range: Record<string, string>): Promise<EgressResponse> {
  let url = new URL(options.url)
  for (let hop = 0; hop <= maxRedirects; hop++) {
    const response = await options.egress.request(url.href, {
      method: 'GET',
      headers: { 'accept-encoding': 'identity', ...options.headersFor(url), ...range },
      signal: options.signal,
      network,
    })
    options.onHead?.(response.headers)
    if (response.status === 200 || response.status === 206 || response.status === 416) return response
    response.content.cancel()
    const location = response.headers.get('location')
    if (response.status < 300 || response.status > 399 || location === null) throw refusal(response.status, url)
    const next = new URL(location, url)
    if (next.protocol !== 'https:' && next.protocol !== url.protocol)
      throw new PullError(`${url.host} redirects to ${next.protocol}//, which is not secure.`)
    url = next
  }
  throw new PullError(`${new URL(options.url).host} redirects more than ${maxRedirects} times.`)
}

function refusal(status: number, url: URL): Error {
  if (status === 404) return new PullError(`${url.host} has no ${url.pathname} (404).`, { remedy: 'Check the name.' })
  if (status === 401 || status === 403) {
    return new PullError(`${url.host} refuses access to ${url.pathname} (${status}).`, {
      remedy: "Set HF_TOKEN to a token that may read it, and accept the model's licence on its page if it asks for that.",
    })
  }
  if (status >= 500 || status === 429 || status === 408) return new EgressError('interrupted', `it returned status ${status}`)
  return new PullError(`${url.host} returned status ${status}.`)
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`
}

function rangeStart(headers: Headers): number {
  return Number(/^bytes (\d+)-/.exec(headers.get('content-range') ?? '')?.[1] ?? Number.NaN)
}

async function checkSpace(path: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(path))
  if (needed <= bavail * bsize) return
  throw new PullError(`Not enough disk space in ${dirname(path)}: ${megabytes(needed)} required, ${megabytes(bavail * bsize)} available.`, {
    remedy: 'Free some space, or set CORRAL_HOME to a folder on another disk.',
  })
}

/** 0 where there is no file. */
export async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0
    throw error
  }
}

/** SHA-256 as lower-case hex. */
export async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece as Uint8Array)
  return hash.digest('hex')
}
