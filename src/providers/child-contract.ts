/** `corral/provider/child`: what a process that a provider starts with `startChild` imports, without the parts that serve. */
export { ApiError, invalidRequest, notFound, unavailable } from '../errors.ts'
export { listenInside, readOptions } from '../runtime/child.ts'
export { type ChatCompletionRequest, chatCompletionRequest } from '../schemas/chat.ts'
export { type CompletionRequest, completionRequest } from '../schemas/completions.ts'
export { embeddingsRequest } from '../schemas/embeddings.ts'
