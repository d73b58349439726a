import type { AnyRoute } from '../http/route.ts'
import type { ApiDeps } from './define.ts'
import { createChatCompletion } from './chat/routes.ts'

/** Every route, in the order of the reference page. */
export const routes: readonly AnyRoute<ApiDeps>[] = [createChatCompletion]
