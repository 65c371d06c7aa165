#pragma once
/* The dashboard: one HTML page that brings its scripts and styles within itself. */

extern const unsigned char dashboard_html[];
extern const unsigned long dashboard_html_len;
