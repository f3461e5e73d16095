module github.com/loft-sh/e2e-framework

go 1.26.0
