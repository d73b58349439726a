import { routes } from './api/index.ts'
import type { Call } from './call.ts'
import { toApiError, toErrorResponse } from './http/error-response.ts'
import { mount } from './http/mount.ts'
import type { Services } from './services.ts'

export interface App {
  /** Answers one request; never throws. */
  fetch(request: Request): Promise<Response>
}

export function createApp(services: Services): App {
  const dispatch = mount(routes, services)
  return {
    async fetch(request) {
      const call: Call = { requestId: crypto.randomUUID(), signal: request.signal, providerData: {} }
      try {
        return await dispatch(request, call)
      } catch (error) {
        return toErrorResponse(toApiError(error, call.requestId))
      }
    },
  }
}
