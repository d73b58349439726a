import type { Middleware } from './middleware.ts'

const wellFormed = /^[\w.-]{1,128}$/

/**
 * Every request has an id, and every response has it as `x-request-id`: the caller's own where it is 1 to 128 of `A-Z a-z 0-9 _ . -`,
 * else one of ours: random for this process, then counted (a name to search the log by, not a secret).
 */
export function requestId(): Middleware {
  const process = crypto.randomUUID().replaceAll('-', '').slice(0, 16)
  let count = 0
  return (request, context, next) => {
    const given = request.headers.get('x-request-id')
    context.requestId = given !== null && wellFormed.test(given) ? given : `req_${process}${(++count).toString(36)}`
    context.responseHeaders.push('x-request-id', context.requestId)
    return next(request, context)
  }
}
