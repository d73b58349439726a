import { gzipSync } from 'node:zlib'
import type { OtlpTarget } from './messages.ts'
import { type PartialSuccess, partialSuccessIn } from './partial-success.ts'

/** How one message went. `retryAfter` in milliseconds, where the collector says. */
export type SendResult =
  | { readonly kind: 'sent'; readonly partial?: PartialSuccess | undefined }
  | { readonly kind: 'retry'; readonly why: string; readonly retryAfter?: number | undefined }
  | { readonly kind: 'refused'; readonly why: string }

/** OTLP/HTTP 1.x, "Failures": what may be tried again. */
const retryable = new Set([429, 502, 503, 504])
/** Milliseconds: a collector cannot keep this server waiting for longer. */
const maxWait = 300_000
const maxResponseSize = 65_536

/** Sends one message of OpenTelemetry's protocol (HTTP, protobuf) to the operator's collector. Never throws. */
export async function sendOtlp(target: OtlpTarget, message: Uint8Array): Promise<SendResult> {
  const { url, headers, timeout, compression } = target
  const body = compression === 'gzip' ? gzipSync(message) : message
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'user-agent': 'OTel-OTLP-Exporter-JavaScript/corral',
        ...headers,
        'content-type': 'application/x-protobuf',
        ...(compression === 'gzip' && { 'content-encoding': 'gzip' }),
      },
      body: body as BodyInit,
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout),
      ...routeTo(target),
    })
    // It is taken once the head says so: sent again for the sake of a body that breaks or stalls, it would be there twice.
    if (response.ok) return { kind: 'sent', partial: await partialOf(response, Object.values(headers)).catch(() => undefined) }
    await response.body?.cancel()
    const why = `the collector returned status ${response.status}`
    if (!retryable.has(response.status)) return { kind: 'refused', why }
    return { kind: 'retry', why, retryAfter: waitOf(response.headers.get('retry-after')) }
  } catch (error) {
    return { kind: 'retry', why: error instanceof Error ? error.message : String(error) }
  }
}

async function partialOf(response: Response, secrets: readonly string[]): Promise<PartialSuccess | undefined> {
  return partialSuccessIn(await beginningOf(response), secrets)
}

/** A collector’s response has a few bytes; longer ones are not read. */
async function beginningOf({ body }: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of body ?? []) {
    parts.push(part)
    length += part.length
    if (length >= maxResponseSize) break
  }
  return Buffer.concat(parts).subarray(0, maxResponseSize)
}

/** Options of Bun's fetch. `proxy: false`: its own reading of HTTP_PROXY would send requests for this machine's loopback to the proxy. */
function routeTo({ certificate, clientCertificate, clientKey, proxy }: OtlpTarget): { proxy: string | false; tls?: object } {
  const route: { proxy: string | false } = { proxy: proxy ?? false }
  if (certificate === undefined && clientCertificate === undefined) return route
  return {
    ...route,
    tls: {
      ...(certificate !== undefined && { ca: certificate }),
      ...(clientCertificate !== undefined && { cert: clientCertificate }),
      ...(clientKey !== undefined && { key: clientKey }),
    },
  }
}

/** `Retry-After`, seconds or a date, in milliseconds. */
export function waitOf(header: string | null, now = Date.now()): number | undefined {
  if (header === null) return undefined
  const wait = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now
  return Number.isFinite(wait) ? Math.min(Math.max(wait, 0), maxWait) : undefined
}
