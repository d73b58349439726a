import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { shortened } from '../../errors.ts'

/** What a collector says of a message that it took in part. */
export interface PartialSuccess {
  /** Spans, or points of metrics; 0: it took them all, and has something to say. */
  readonly rejected: number
  /** In the collector's words, bounded. */
  readonly why: string
}

const maxReasonLength = 500
/** Shorter values of headers are no secrets, and would tear holes into ordinary words. */
const minSecretLength = 4

/**
 * Reads `partial_success` of a collector's answer, which has the same form for spans and for metrics. `secrets`: what was sent in headers, masked where
 * the collector repeats it. Undefined where all was taken, or the answer is not of the protocol: what it answered with 200 is not sent again.
 */
export function partialSuccessIn(response: Uint8Array, secrets: readonly string[] = []): PartialSuccess | undefined {
  const { rejectedSpans = 0, errorMessage = '' } = parseResponse(response)
  const rejected = Number(rejectedSpans)
  if (!(rejected > 0) && errorMessage === '') return undefined
  return { rejected: Math.max(rejected, 0), why: shortened(without(errorMessage, secrets), maxReasonLength) }
}

interface PartialSuccessFields {
  readonly rejectedSpans?: number | string | undefined
  readonly errorMessage?: string | undefined
}

function parseResponse(response: Uint8Array): PartialSuccessFields {
  if (response.length === 0) return {}
  try {
    return ProtobufTraceSerializer.deserializeResponse(response).partialSuccess ?? {}
  } catch {
    // For example the page of a proxy.
    return {}
  }
}

function without(text: string, secrets: readonly string[]): string {
  const parts = secrets
    .flatMap((secret) => [secret, secret.slice(secret.indexOf(' ') + 1)])
    .filter((part) => part.length >= minSecretLength)
  return parts.reduce((masked, part) => masked.replaceAll(part, '***'), text)
}
