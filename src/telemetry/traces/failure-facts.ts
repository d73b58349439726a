import { ApiError, shortened } from '../../errors.ts'
import { causeOf } from '../events.ts'
import type { AttributeValue, SpanEvent } from './span.ts'

/** UTF-16 units of one text. */
const maxTextLength = 4_096

/** A provider’s error code is used if it is a word: it could be any text. */
const word = /^[\w.:/-]{1,64}$/

/** `error.type`: one of few words, never a message. */
function errorType(error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error ? error.name : '_OTHER'
  const { provider, code, type } = error
  const name = code ?? type
  if (!provider || word.test(name)) return name
  return provider.status >= 300 ? String(provider.status) : 'upstream_error'
}

/** The message of an error; credentials were masked where it was made. */
function messageOf(error: unknown): string {
  return shortened(error instanceof ApiError && error.provider === undefined ? causeOf(error) : asText(error), maxTextLength)
}

function asText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The exception event of OpenTelemetry’s conventions. */
export function exceptionEvent(error: unknown, time: number): SpanEvent {
  const attributes: Record<string, AttributeValue> = {
    'exception.type': error instanceof Error ? error.name : typeof error,
    'exception.message': messageOf(error),
  }
  if (error instanceof Error && !(error instanceof ApiError) && error.stack)
    attributes['exception.stacktrace'] = shortened(error.stack, maxTextLength)
  return { name: 'exception', time, attributes }
}

/** Adds the facts of a failure: the provider’s reply with its body, the denial. */
export function addFailure(attributes: Record<string, AttributeValue>, error: unknown): void {
  attributes['error.type'] = errorType(error)
  attributes['corral.failure.class'] = error instanceof ApiError ? error.failure : 'server_error'
  attributes['corral.error.message'] = messageOf(error)
  if (!(error instanceof ApiError)) return
  const { provider, denial, param } = error
  if (param !== null) attributes['corral.error.param'] = shortened(param)
  if (provider) {
    attributes['corral.upstream.provider'] = provider.id
    attributes['corral.upstream.status_code'] = provider.status
    attributes['corral.upstream.body'] = shortened(typeof provider.body === 'string' ? provider.body : jsonOf(provider.body), maxTextLength)
  }
  if (denial) {
    attributes['corral.denied.by'] = denial.by
    attributes['corral.denied.reason'] = shortened(denial.reason, maxTextLength)
    if (denial.action !== undefined) attributes['corral.denied.action'] = shortened(denial.action)
    if (denial.resource !== undefined) attributes['corral.denied.resource'] = shortened(denial.resource)
  }
}

function jsonOf(value: unknown): string {
  return JSON.stringify(value) ?? ''
}
