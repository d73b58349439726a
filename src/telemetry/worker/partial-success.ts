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
/** Shorter header values are not secrets; masking them would damage ordinary words. */
const minSecretLength = 4

/**
 * Reads `partial_success` of a collector's response, which has the same form for spans and metrics. `secrets`: values of the sent headers, masked where
 * the collector repeats them. Undefined if everything was accepted or the response is not OTLP: after a 200 nothing is sent again.
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
