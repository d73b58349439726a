import { ApiError, type ErrorDetail } from '../errors.ts'
import type { Credential } from './authenticator.ts'
import { challengeHeader, type Challenge } from './refusal.ts'

/** Characters. Longer ones are refused before anything is done with them. */
const maxTokenLength = 16_384

/** The characters of a token: visible ASCII. RFC 6750's set is smaller, but keys of other vendors need more. */
const visible = /^[\x21-\x7e]+$/

/**
 * The one place that reads a caller's credential: `Authorization: Bearer`, `x-api-key` (Anthropic's clients) or `x-goog-api-key` (Google's).
 * Nothing is taken from the URL: queries are logged by everything on the way. Undefined where no header carries one.
 * Throws ApiError 400 (more than one, and they differ), 401 (of no form that we know). Costs well under a microsecond.
 */
export function credentialOf(request: Pick<Request, 'headers'>): Credential | undefined {
  const { headers } = request
  const authorization = headers.get('authorization')
  const anthropic = headers.get('x-api-key')
  const google = headers.get('x-goog-api-key')
  const bearer = authorization ? bearerToken(authorization) : undefined
  const header = bearer !== undefined ? 'authorization' : anthropic ? 'x-api-key' : 'x-goog-api-key'
  const token = bearer ?? (anthropic || google)
  if (!token) return undefined
  if ((anthropic && anthropic !== token) || (google && google !== token)) throw conflictingCredentials('they differ')
  if (token.length > maxTokenLength) {
    throw refused('The credential is too long.', 'a credential that is too long', { error: 'invalid_token', description: 'too long' })
  }
  if (visible.test(token)) return { header, token }
  // HTTP joins the values of a header that came twice.
  if (/,[ \t]/.test(token)) throw conflictingCredentials(`the ${nameOf[header]} header came twice`)
  throw malformed(header)
}

const nameOf = { authorization: 'Authorization', 'x-api-key': 'x-api-key', 'x-goog-api-key': 'x-goog-api-key' } as const

/** What follows the scheme, which no case matters to (RFC 9110 §11.1). White space at the value's ends is gone by then; `trim` takes more than that. */
function bearerToken(value: string): string {
  const isBearer = isBlank(value, 6) && (value.startsWith('Bearer') || value.slice(0, 6).toLowerCase() === 'bearer')
  let start = 7
  while (isBlank(value, start)) start++
  const token = isBearer ? value.slice(start) : ''
  if (token === '') throw malformed('authorization')
  return token
}

function isBlank(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code === 0x20 || code === 0x09
}

function malformed(header: Credential['header']): ApiError {
  return refused(`Invalid ${nameOf[header]} header format`, `a malformed ${nameOf[header]} header`, {})
}

function refused(message: string, reason: string, challenge: Challenge): ApiError {
  return new ApiError('authentication_error', message, detail(reason, challenge, 'invalid_credential'))
}

function conflictingCredentials(how: string): ApiError {
  return new ApiError(
    'invalid_request_error',
    `The request carries more than one credential (${how}): send one, in Authorization, x-api-key or x-goog-api-key.`,
    detail('more than one credential', { error: 'invalid_request', description: 'more than one credential' }, 'several_credentials'),
  )
}

function detail(reason: string, challenge: Challenge, code: string): ErrorDetail {
  return { code, headers: { 'www-authenticate': challengeHeader(challenge) }, denial: { by: 'authentication', reason } }
}
