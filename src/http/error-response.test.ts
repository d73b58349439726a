import { describe, expect, test } from 'bun:test'
import { openai } from '../dialects/openai/dialect.ts'
import { ApiError, type ErrorDetail, invalidRequest, notFound, unavailable } from '../errors.ts'
import { toErrorResponse } from './error-response.ts'

/** Class, whether a retry can help, and the header that says so. */
const facts = (error: ApiError) => [error.failure, error.retryable, toErrorResponse(error, openai).headers.get('x-should-retry')]

const error = (type: string, detail: ErrorDetail = {}): ApiError => new ApiError(type, 'no', detail)

describe('the failure class of an error', () => {
  test.each([
    ['a bad request', invalidRequest('no'), ['invalid_request', false, null]],
    ['something absent', notFound('Model', 'm'), ['invalid_request', false, null]],
    ['a conflict', invalidRequest('no', { status: 409 }), ['invalid_request', false, 'false']],
    ['a body that does not arrive', invalidRequest('no', { status: 408 }), ['timeout', true, null]],
    ['no credential', error('authentication_error'), ['credentials_rejected', false, null]],
    ['a policy', error('permission_error'), ['credentials_rejected', false, null]],
    ['a rate', error('rate_limit_error', { code: 'rate_limit_exceeded' }), ['rate_limited', true, null]],
    ['a budget', error('rate_limit_error', { code: 'insufficient_quota' }), ['quota_exceeded', false, 'false']],
    ['a server that is busy', unavailable('no', 5), ['overloaded', true, null]],
    ['a long wait', unavailable('no', 61), ['overloaded', false, 'false']],
    ['an unreachable provider', error('upstream_error', { code: 'upstream_unreachable' }), ['connection_error', true, null]],
    ['a provider that takes too long', error('upstream_error', { status: 504, code: 'upstream_timeout' }), ['timeout', true, null]],
    ['a response that ends early', error('upstream_error', { code: 'upstream_interrupted' }), ['interrupted', true, null]],
    ['a bug', error('server_error'), ['server_error', true, null]],
    ['a type that is not ours', error('overloaded_error', { status: 529 }), ['overloaded', true, null]],
  ] as const)('[DIA-3] %s', (_, thrown, expected) => {
    expect(facts(thrown)).toEqual([...expected])
  })

  test('[DIA-3] is what the detail says, where it says it', () => {
    expect(facts(error('server_error', { failure: 'content_filtered' }))).toEqual(['content_filtered', false, 'false'])
    expect(facts(error('server_error', { retryable: false }))).toEqual(['server_error', false, 'false'])
    expect(facts(error('service_unavailable_error', { headers: { 'x-should-retry': 'false' } }))).toEqual(['overloaded', false, 'false'])
  })
})
