"""What the pages share; the only package that knows both core and Streamlit."""
