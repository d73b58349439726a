import type { Call } from '../call.ts'
import { sseResponse } from '../http/sse.ts'
import type { Reply } from '../providers/provider.ts'

/** A provider's reply as the caller gets it. */
export async function toResponse(pending: Promise<Reply>, call: Call): Promise<Response> {
  const reply = await pending
  if (reply.kind === 'stream') return sseResponse(reply.frames, { requestId: call.requestId, heartbeatEvery: 15_000 })
  return new Response(reply.bytes as BodyInit, { headers: { 'content-type': 'application/json' } })
}
