// /docs: the API's description, to be read and tried, by the Swagger UI that BentoML brings.

/** @type {any} */ (globalThis).SwaggerUIBundle({
  url: "docs.json",
  dom_id: "#api",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // which would ask another server
});
