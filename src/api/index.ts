import type { AnyRoute } from '../http/route.ts'
import type { AnyJobDefinition } from '../jobs/definition.ts'
import type { ApiDeps } from './define.ts'
import type { Resources } from './resource.ts'
import { adminHealth, adminInspectRoutes, adminListProviders, adminRetrieveProvider, adminVersion } from './admin/routes.ts'
import { createApiKey, listApiKeys, retrieveApiKey, revokeApiKey, rotateApiKeyToken } from './keys/routes.ts'
import { createChatCompletion } from './chat/routes.ts'
import { createCompletion } from './completions/routes.ts'
import { getDocsFile, getDocsPage, getOpenApi } from './docs/routes.ts'
import { createEmbedding } from './embeddings/routes.ts'
import { getReadiness } from './health/routes.ts'
import { getHealth, getVersion, inspectRoutes } from './inspect/routes.ts'
import { getMetrics } from './metrics/routes.ts'
import { deleteModel, listModels, registerModel, retrieveModel } from './models/routes.ts'
import { listProviders, retrieveProvider } from './providers/routes.ts'
import { rerankDocuments, rerankItems } from './rerank/routes.ts'
import { getSpan, getSpanTree, getTrace, logEvent, queryMetrics, querySpans, queryTraces } from './telemetry/routes.ts'

/** Every route, in the order of the reference page. */
export const routes: readonly AnyRoute<ApiDeps>[] = [
  createChatCompletion,
  createCompletion,
  createEmbedding,
  rerankDocuments,
  rerankItems,
  listModels,
  registerModel,
  retrieveModel,
  deleteModel,
  listProviders,
  retrieveProvider,
  inspectRoutes,
  getHealth,
  getVersion,
  getReadiness,
  getMetrics,
  getOpenApi,
  getDocsPage,
  getDocsFile,
  adminListProviders,
  adminRetrieveProvider,
  adminInspectRoutes,
  adminHealth,
  adminVersion,
  createApiKey,
  listApiKeys,
  retrieveApiKey,
  revokeApiKey,
  rotateApiKeyToken,
  queryTraces,
  getTrace,
  getSpan,
  querySpans,
  getSpanTree,
  queryMetrics,
  logEvent,
]

/** Every kind of job, made of the services that it works with. None yet. */
export const jobs: readonly ((resources: Resources) => AnyJobDefinition)[] = []
