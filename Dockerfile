# The playground with the embedded model, on port 7860.
FROM python:3.12-slim
RUN useradd --create-home --uid 1000 santacoder && install -d -o santacoder /home/santacoder/app /home/santacoder/app/shares
WORKDIR /home/santacoder/app
COPY pyproject.toml requirements.lock ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock \
    && pip install --no-cache-dir "$(sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)"
COPY --chown=santacoder . .
USER santacoder
ENV SANTACODER_HOST=0.0.0.0 SANTACODER_LOG_LEVEL=info SANTACODER_REQUESTS_PER_MINUTE=600 GRADIO_ANALYTICS_ENABLED=False
EXPOSE 7860
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:7860/health')"]
CMD ["python", "app.py"]
