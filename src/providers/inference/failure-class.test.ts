import { describe, expect, test } from 'bun:test'
import type { FailureClass } from '../../errors.ts'
import { failureClassOf } from './failure-class.ts'
import { readErrorBody } from './upstream-error-body.ts'
import { toProviderError } from './upstream-error.ts'

const errorOf = (status: number, body: object) => toProviderError({ id: 'p', secrets: [] }, { status, body })

/** Error bodies as providers send them, with their statuses. */
const cases: readonly [FailureClass, number, unknown][] = [
  ['context_length_exceeded', 400, { error: { code: 'context_length_exceeded', message: 'too long', type: 'invalid_request_error' } }],
  [
    'context_length_exceeded',
    400,
    { type: 'error', error: { type: 'invalid_request_error', message: 'prompt is too long: 9 tokens > 8' } },
  ],
  ['context_length_exceeded', 400, { object: 'error', message: "This model's maximum context length is 4096 tokens.", code: 400 }],
  ['context_length_exceeded', 400, { error: { type: 'exceed_context_size_error', message: 'the request exceeds it' } }],
  ['context_length_exceeded', 400, { error: { message: 'The input token count (9) exceeds the maximum number of tokens allowed (8).' } }],
  ['context_length_exceeded', 422, { error: 'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096' }],
  ['content_filtered', 400, { error: { code: 'content_filter', message: 'filtered' } }],
  ['content_filtered', 400, { error: { type: 'image_generation_user_error', code: 'content_policy_violation', message: 'no' } }],
  [
    'quota_exceeded',
    429,
    { error: { type: 'insufficient_quota', code: 'insufficient_quota', message: 'You exceeded your current quota' } },
  ],
  ['quota_exceeded', 402, { error: { message: 'Payment required' } }],
  ['quota_exceeded', 400, { type: 'error', error: { type: 'invalid_request_error', message: 'Your credit balance is too low' } }],
  ['rate_limited', 429, { error: { message: 'Slow down' } }],
  ['rate_limited', 413, { error: { type: 'tokens', code: 'rate_limit_exceeded', message: 'Request too large' } }],
  ['overloaded', 529, { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }],
  ['overloaded', 503, 'no healthy upstream'],
  ['overloaded', 500, { error: { type: 'overloaded_error', message: 'Overloaded' } }],
  ['credentials_rejected', 401, { error: { message: 'No' } }],
  ['credentials_rejected', 403, { message: 'Forbidden' }],
  [
    'credentials_rejected',
    400,
    [{ error: { code: 400, message: 'API key not valid. Please pass a valid API key.', status: 'INVALID_ARGUMENT' } }],
  ],
  ['timeout', 504, '<html><title>Gateway Timeout</title></html>'],
  ['timeout', 408, {}],
  ['server_error', 500, { error: { message: 'context length of the log' } }],
  ['server_error', 302, ''],
  ['invalid_request', 400, { error: { message: 'temperature must be at most 2', param: 'temperature' } }],
  ['invalid_request', 404, { error: { code: 'model_not_found', message: 'no such model' } }],
]

describe('the failure class of a provider’s error', () => {
  test.each(cases)('[PRV-7] %s: %d %j', (failure, status, body) => {
    expect(failureClassOf(status, readErrorBody(body))).toBe(failure)
  })

  test('[PRV-7] an error inside a success is classified by its text or by the status that it names', () => {
    expect(failureClassOf(200, { message: 'prompt is too long' })).toBe('context_length_exceeded')
    expect(failureClassOf(200, { code: 'rate_limit_exceeded' })).toBe('rate_limited')
    expect(failureClassOf(200, { message: 'Slow down', status: 429 })).toBe('rate_limited')
    expect(failureClassOf(200, { message: 'no reason' })).toBe('server_error')
  })

  test('[PRV-7] the error that the client gets has it, and is retryable accordingly', () => {
    expect(errorOf(429, { error: { message: 'Slow down' } })).toMatchObject({ failure: 'rate_limited', retryable: true })
    expect(errorOf(429, { error: { code: 'insufficient_quota', message: 'Pay' } })).toMatchObject({
      failure: 'quota_exceeded',
      retryable: false,
    })
    expect(errorOf(400, { error: { message: 'prompt is too long' } })).toMatchObject({
      failure: 'context_length_exceeded',
      retryable: false,
    })
    expect(errorOf(200, { error: { message: 'Overloaded', type: 'overloaded_error' } })).toMatchObject({
      status: 502,
      failure: 'overloaded',
    })
  })
})
