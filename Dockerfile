# Living Reports over stdio, with its files on the volume /data:
#
#   docker build -t living-reports .
#   docker run --rm -i -v living-reports:/data living-reports
#
# .ci/run runs the RUN lines of this file in the same order, with other folders. Keep each on one line.

FROM python:3.13-slim AS build
WORKDIR /src
COPY . .
RUN python -m venv --without-pip /app
RUN pip wheel -q --no-deps --wheel-dir /dist .
RUN pip --python /app/bin/python install -q --no-cache-dir /dist/*.whl
RUN mkdir /data

FROM python:3.13-slim
COPY --from=build /app /app
COPY --from=build --chown=10001:10001 /data /data
USER 10001:10001
ENV LIVING_REPORTS_ROOT=/data
VOLUME /data
ENTRYPOINT ["/app/bin/living-reports"]
CMD ["serve"]
